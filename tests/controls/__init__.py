"""Two controls of the harness: where nothing breaks it must find nothing, and where nothing protects, that."""
