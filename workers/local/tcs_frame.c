/* tcs_frame: header lines end with CRLF; a name is a token, a value has no blanks around it. */
#include "tcs_frame.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mem.h"

/* One line, cut in place. */
static int take_header(struct tcs_frame *f, char *line)
{
        char *colon = strchr(line, ':');
        if (colon == NULL || colon == line || f->header_count == TCS_HEADERS_MAX)
                return -EBADMSG;
        *colon = '\0';
        for (const char *p = line; *p != '\0'; p++)
                if (!isalnum((unsigned char)*p) && *p != '-')
                        return -EBADMSG;
        char *value = colon + 1 + strspn(colon + 1, " ");
        f->headers[f->header_count].name = line;
        f->headers[f->header_count++].value = value;
        return 0;
}

int tcs_frame_parse(const char *text, size_t length, struct tcs_frame *ret)
{
        struct tcs_frame f = {.text = mem_alloc(length + 1)};
        memcpy(f.text, text, length);
        f.text[length] = '\0';
        char *end = strstr(f.text, "\r\n\r\n");
        int r = end != NULL && strlen(f.text) == length ? 0 : -EBADMSG;
        if (r == 0) {
                f.body = end + 4;
                f.body_length = length - (size_t)(f.body - f.text);
                end[2] = '\0';
        }
        for (char *line = f.text, *next; r == 0 && *line != '\0'; line = next) {
                next = strstr(line, "\r\n");
                *next = '\0';
                next += 2;
                r = take_header(&f, line);
        }
        if (r != 0)
                tcs_frame_clear(&f);
        else
                *ret = f;
        return r;
}

void tcs_frame_clear(struct tcs_frame *f)
{
        free(f->text);
        *f = (struct tcs_frame){0};
}

const char *tcs_frame_header(const struct tcs_frame *f, const char *name)
{
        for (size_t i = 0; i < f->header_count; i++)
                if (strcasecmp(f->headers[i].name, name) == 0)
                        return f->headers[i].value;
        return NULL;
}
