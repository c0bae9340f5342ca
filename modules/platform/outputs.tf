output "page" {
  description = "The page's address."
  value       = streamverse_web_player.page.address
}

output "edge" {
  description = "Where viewers reach the edge."
  value       = streamverse_ats_edge.edge.url
}

output "playback" {
  description = "HLS and DASH addresses of each asset."
  value       = { for name, it in data.streamverse_playback.asset : name => { hls = it.hls, dash = it.dash } }
}
