"""What lbg tells of itself: metrics, access log, traces."""
