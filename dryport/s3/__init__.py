"""Amazon S3, as far as environment files and their like need: buckets, objects, multipart uploads.

Owns: buckets, objects, uploads (in the store), their bytes (``<state>/s3/``, see ``disk``). Watches: nothing;
``sweeper`` wakes by the clock and deletes files that nothing refers to.
"""
