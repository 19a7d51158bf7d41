package dev.roomlet

/** [text] as a JSON string. */
internal fun quoted(text: String): String = buildString(text.length + 2) {
    append('"')
    for (letter in text) {
        when {
            letter == '"' || letter == '\\' -> append('\\').append(letter)
            letter < ' ' -> append("\\u").append(letter.code.toString(16).padStart(4, '0'))
            else -> append(letter)
        }
    }
    append('"')
}

/**
 * The text of the member [name] of a JSON object, or null if it is none or no string. [json] is an object that the
 * library printed, and neither the name nor the text needs escaping.
 */
internal fun memberText(json: String, name: String): String? {
    var depth = 0
    var at = 0
    while (at < json.length) {
        when (json[at]) {
            '{', '[' -> depth++
            '}', ']' -> depth--
            '"' -> {
                val end = endOfString(json, at)
                val isName = depth == 1 && json.substring(at, end) == "\"$name\"" && json.startsWith(":\"", end)
                if (isName) {
                    val value = end + 1
                    return json.substring(value + 1, endOfString(json, value) - 1)
                }
                at = end - 1
            }
        }
        at++
    }
    return null
}

/** The index after the string that begins at [start]. */
private fun endOfString(json: String, start: Int): Int {
    var at = start + 1
    while (json[at] != '"') {
        at += if (json[at] == '\\') 2 else 1
    }
    return at + 1
}
