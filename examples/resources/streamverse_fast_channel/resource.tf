resource "streamverse_fast_channel" "one" {
  name         = "one"
  title        = "StreamVerse One"
  object_store = "file://default/media"
  catalogue    = "sqlite://default/main"
  start        = "2026-12-01T05:00:00Z"
  time_zone    = "Europe/Berlin"

  sources = {
    film  = { title = "A Film", category = "Film", duration_ms = 5400000 }
    news  = { title = "The News", category = "News", duration_ms = 1500000, ad_positions = [] }
    spot  = { duration_ms = 30000 }
    promo = { duration_ms = 20000 }
    slate = { duration_ms = 10000 }
  }
  schedule = {
    grid = {
      programmes = [
        { at = "06:00", asset = "news" },
        { at = "06:30", asset = "film" },
        { days = ["saturday", "sunday"], at = "20:15", asset = "film" },
      ]
    }
  }
  filler = ["promo"]
  slate  = "slate"
  ad_breaks = {
    every        = "20m"
    duration     = "2m"
    spots        = ["spot"]
    max_per_hour = "12m"
  }
  languages = { audio = ["en", "de"], captions = ["en"] }
}
