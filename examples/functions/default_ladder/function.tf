output "renditions" {
  value = [for it in provider::streamverse::default_ladder(720, "25").video : it.name]
}
