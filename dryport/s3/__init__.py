"""Amazon S3: buckets, objects and their versions, multipart uploads, bucket policies, tags, lifecycle rules.

Owns: buckets, objects, uploads (in the store), their bytes (``<state>/s3/``, see ``disk``). Watches: nothing;
``sweeper`` wakes by the clock and deletes files that nothing refers to, ``expiry`` does what lifecycle rules say.
"""
