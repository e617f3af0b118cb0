"""From a trained network and images to masks, and to a MONAI bundle. Never trains, and never scores a mask."""
