"""What a boot does once, as cloud-init does on AWS's images: names, keys, then the user data of a first boot."""
