"""A playground: a page on this machine in which one watches a network train, natively, on data of one's own."""
