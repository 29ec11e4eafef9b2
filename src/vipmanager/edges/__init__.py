"""One module per outside world; each implements a port."""
