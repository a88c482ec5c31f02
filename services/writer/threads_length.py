"""The length of a post as Threads counts it: in characters, but an emoji in its UTF-8 bytes.

"Text posts are limited to 500 characters. Emojis are counted as the number of UTF-8 bytes":
https://developers.facebook.com/docs/threads/posts. A family of four thus counts 25, a flag 8, a heart ❤️ 6.
"""

import regex

from services.writer.encoded_lengths import utf8_length, utf16_length

# Whatever may be shown as an emoji, with all that joins it: variation selectors, skin tones, tags, ZWJ, keycaps.
_JOINING = r"[\u200d\ufe0e\ufe0f\u20e3\U000e0020-\U000e007f\p{Emoji_Modifier}]"
_EMOJI = regex.compile(
    rf"(?:[\p{{Extended_Pictographic}}\p{{Emoji_Presentation}}\p{{Regional_Indicator}}]{_JOINING}*+|[0-9#*]\ufe0f?+\u20e3)++"
)


def threads_length(text: str) -> int:
    """How much of Threads' 500 the text takes. What is no emoji counts its UTF-16 code units, as at Meta's others."""
    if text.isascii():
        return len(text)
    emoji = "".join(_EMOJI.findall(text))
    return utf16_length(text) - utf16_length(emoji) + utf8_length(emoji)
