"""`pooling`: angular networks whose atoms are pooled to nodes."""
