"""What other tools say of videos: one table for each tool, the files that they write, the names they give to files."""
