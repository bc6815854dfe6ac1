"""One mirror test for gates of a kind."""
