"""Development tools: how the test models, the held-out speech, the samples and the codec files were made."""
