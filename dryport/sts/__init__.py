"""Security Token Service. Owns nothing and watches nothing: credentials are the identity service's."""
