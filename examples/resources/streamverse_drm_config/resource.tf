resource "streamverse_drm_config" "main" {
  name            = "main"
  systems         = ["clearkey", "widevine", "playready", "fairplay"]
  key_granularity = "resolution_tier"
  crypto_period   = "10m"
  key_service     = "keys://127.0.0.1:9180?secret=key-service.main"
  usage = {
    expiry = "12h"
    tracks = {
      "video-uhd" = { hdcp = "2.2", widevine_robustness = "HW_SECURE_ALL", playready_security_level = 3000 }
    }
  }
}
