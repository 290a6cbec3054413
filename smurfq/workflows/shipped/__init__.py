"""The workflows that come with smurfq, a file each: copy one to your script folder, and change it."""
