resource "streamverse_entitlement_policy" "main" {
  packages = [
    { name = "basic", assets = ["trailer", "news-*"] },
    { name = "premium", assets = ["*"] },
  ]
  rental = { window = "2days", start_within = "30days" }
  events = [{
    name   = "final-2026"
    assets = ["final"]
    from   = "2026-12-01T18:00:00Z"
    to     = "2026-12-01T22:00:00Z"
  }]
  blackouts        = [{ countries = ["DE", "AT"], assets = ["final"] }]
  streams          = 2
  devices          = 5
  licence_duration = "2m"
}
