"""What gaps are made of: the section of the page, and the bar of each finding."""
