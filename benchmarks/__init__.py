"""Side-by-side measurements of lbg and of the proxies people know, in one run."""
