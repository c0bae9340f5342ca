resource "streamverse_object_store" "media" {
  name = "media"
}
