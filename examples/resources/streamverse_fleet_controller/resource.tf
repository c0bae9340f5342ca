resource "streamverse_catalogue" "main" {
  name = "main"
}

resource "streamverse_fleet_controller" "main" {
  name       = "main"
  public_url = "https://fleet.example.org:9190"
  catalogue  = streamverse_catalogue.main.url

  # What rented workers are given: those of the transcoders that its fleets work for.
  stores = [streamverse_event_log.work.url, streamverse_object_store.media.url]

  # TF_FLEET_IDENTITY=$(openssl rand -base64 32)
  identity_ref = "env:TF_FLEET_IDENTITY"

  runpod         = { api_key_ref = "env:RUNPOD_API_KEY" }
  monthly_budget = 500
}

resource "streamverse_event_log" "work" {
  name  = "work"
  kafka = { brokers = ["kafka.example.org:9093"] }
}

resource "streamverse_object_store" "media" {
  name = "media"
  s3   = { bucket = "media", region = "eu-central-1", access_key_id = "AKIAEXAMPLE", secret_access_key_ref = "env:TF_S3_KEY" }
}
