"""What a scenario is, how it runs under real threads, and how the samples become a verdict."""
