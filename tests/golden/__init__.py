"""The golden run: recorded once from real traffic; judging and rendering it must give the same bytes for ever."""
