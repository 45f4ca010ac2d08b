"""What people write: is it right? Descriptors, values, patches, needs, whole projects."""
