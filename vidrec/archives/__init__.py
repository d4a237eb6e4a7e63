"""Archives from the internet, unpacked safely."""
