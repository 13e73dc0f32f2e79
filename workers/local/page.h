/* page: what the List operations answer: names in order, at most maxResults, and a token to go on
 * with. The token holds the last name given, so that what is removed meanwhile does no harm. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct answer;

struct page_spec {
        const char *member;        /* of the answer: "taskArns" */
        json_int_t standard, most; /* results a page */
        bool descending;
};

/* Takes items: name → what is shown; names give the order. Fills a->body, or an error when
 * maxResults or nextToken of q are wrong. */
void page_answer(json_t *items, const json_t *q, const struct page_spec *spec, struct answer *a);
