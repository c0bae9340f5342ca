//! Splice messages (ANSI/SCTE 35 2023r1): a `splice_insert` for each end of a break.

/// The message that a break begins, or is over. The splice is where the manifest has it: it carries no time of its own, for
/// the media time begins anew with each item.
pub(super) fn splice_insert(event_id: u32, out_of_network: bool, duration_ms: Option<u64>) -> Vec<u8> {
    let mut command = Vec::with_capacity(16);
    command.extend(event_id.to_be_bytes());
    command.push(0x7f); // not cancelled; reserved bits are ones
    // out_of_network, program_splice, duration, splice_immediate, event_id_compliance, reserved
    let flags =
        0b0101_1111 | if out_of_network { 0x80 } else { 0 } | if duration_ms.is_some() { 0x20 } else { 0 };
    command.push(flags);
    if let Some(ms) = duration_ms {
        let ticks = ms.saturating_mul(90) & 0x1_ffff_ffff;
        // auto_return, reserved, 33 bits.
        let word = (0xfe_u64 << 32) | ticks;
        command.extend(&word.to_be_bytes()[3..]);
    }
    command.extend([0, 1]); // unique_program_id
    command.extend([0, 0]); // no avail of several
    let mut section = vec![0xfc, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    // cw_index 0, tier 0xfff, splice_command_length.
    let length = u16::try_from(command.len()).unwrap_or(0);
    section.push(0xff);
    section.push(0xf0 | u8::try_from(length >> 8).unwrap_or(0));
    section.push(u8::try_from(length & 0xff).unwrap_or(0));
    section.push(0x05);
    section.extend(command);
    section.extend([0, 0]); // no descriptors
    // section_syntax_indicator 0, private 0, sap_type 3; what follows, the CRC included.
    let rest = u16::try_from(section.len() + 4 - 3).unwrap_or(0);
    section[1] = 0x30 | u8::try_from(rest >> 8).unwrap_or(0);
    section[2] = u8::try_from(rest & 0xff).unwrap_or(0);
    let crc = crc32(&section);
    section.extend(crc.to_be_bytes());
    section
}

/// The CRC of MPEG-2 sections (ISO/IEC 13818-1 annex A).
fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ (u32::from(*byte) << 24), |crc, _| {
            if crc & 0x8000_0000 == 0 { crc << 1 } else { (crc << 1) ^ 0x04c1_1db7 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_with_its_crc_has_none_left() {
        for message in [splice_insert(1, true, Some(30_000)), splice_insert(u32::MAX, false, None)] {
            assert_eq!(crc32(&message), 0, "{}", hex::encode(&message));
            assert_eq!(message.len(), 3 + usize::from(message[2]));
        }
    }

    #[test]
    fn the_crc_is_the_one_of_mpeg_2() {
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }
}
