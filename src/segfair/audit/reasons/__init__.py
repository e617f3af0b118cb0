"""What a gap in DSC is made of: each case's deficit taken apart, and the gaps of the findings with it."""
