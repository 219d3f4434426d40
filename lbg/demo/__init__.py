"""What `lbg demo` runs: three backends, lbg in front of them, and the keys that stop and start a backend."""
