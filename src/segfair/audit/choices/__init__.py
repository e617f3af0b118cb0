"""What an audit settles before it scores: which voxels count, which metrics are judged, in which unit."""
