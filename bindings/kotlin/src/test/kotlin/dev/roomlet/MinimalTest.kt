package dev.roomlet

import java.io.ByteArrayOutputStream
import java.io.PrintStream
import kotlin.test.Test
import kotlin.test.assertEquals

/** The program of the README, compiled from `examples/Minimal.kt`. */
class MinimalTest {
    @Test
    fun `minimal program prints the message that crossed`() {
        val printed = ByteArrayOutputStream()
        val stdout = System.out
        System.setOut(PrintStream(printed, true))
        try {
            Class.forName("MinimalKt").getMethod("main").invoke(null)
        } finally {
            System.setOut(stdout)
        }
        assertEquals("@bob:two.example reads ${text("hello from alice")}\n", printed.toString())
    }
}
