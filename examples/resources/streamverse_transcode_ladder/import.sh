terraform import streamverse_transcode_ladder.hd "$(terraform output -raw definition)"
