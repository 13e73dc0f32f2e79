/* pull_reason: why an image could not be had, in the words that users know and search for.
 * Source: engine.md 4. */
#pragma once

/* "<name>: <text>", with a hint in front of texts that have one, and without the addresses that
 * image layers of ECR are stored at. Returns owned. */
char *pull_reason(const char *name, const char *image, const char *text);
