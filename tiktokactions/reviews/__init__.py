"""Review: people judge and label clips on a web page; what they decide is kept, compared and joined into the dataset."""
