"""What all layouts are read with: records, folders and their names, values, images, and the processes that decode."""
