resource "streamverse_web_player" "page" {
  name      = "page"
  title     = "My TV"
  catalogue = "sqlite://default/main"
  delivery  = "http://127.0.0.1:8081"
  channels  = [{ name = "one", title = "Channel One" }]

  # Demo viewers; production hands out tokens from its own sign-in.
  licence = {
    url      = "http://127.0.0.1:8081/licence/clearkey"
    issuer   = "demo-page"
    audience = "tv"
    key_id   = "demo"
    accounts = [{ id = "demo", title = "With a subscription" }, { id = "guest" }]
  }
  token_key_ref = "env:TOKEN_KEY"
}
