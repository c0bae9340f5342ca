resource "streamverse_catalogue" "main" {
  name = "main"
}

resource "streamverse_key_service" "main" {
  name      = "main"
  catalogue = streamverse_catalogue.main.url

  # openssl rand -base64 32 > key && chmod 600 key, as the user that services run as.
  key_encryption_key = { file = "/etc/streamverse/key-encryption-key" }

  # TF_ACCESS_KEY=$(openssl rand -base64 32)
  access_key_ref = "env:TF_ACCESS_KEY"
}
