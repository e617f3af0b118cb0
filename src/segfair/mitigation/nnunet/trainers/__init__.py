"""What `nnUNet_extTrainer` names: nnU-Net imports every module in here by its bare name, and takes trainers from it."""
