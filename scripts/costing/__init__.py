"""What a month on AWS costs. Python's standard library only."""
