
/*
 * Copyright (C) 2026 idpay contributors
 */


#include "credential/ngx_http_idpay_redact.h"

#include "credential/ngx_http_idpay_escape.h"


/*
 * A text is compared as it would be decoded, since what can be made of a
 * secret by encoding is too much to be listed.  Each character is taken in
 * each of its readings, from none to all layers of decoding: a secret may look
 * like an escape itself, and encoders leave alone what is not theirs.  Readings
 * of a character differ only where an escape begins, and then nearly always
 * but one of them fits the secret.
 *
 * Base64 is compared by the bits that are the secret's, so that all characters
 * that have some are part of what is found.
 *
 * An attempt ends at the first character that does not fit, so a text costs
 * its length, whatever it is.  Only with a secret that repeats itself from its
 * beginning on a text could cost more, a place in it up to the secret's length.
 * No secret that is worth its name does; such a text is given up.
 */


/*
 * Places in the text that a part of a secret may end at, by its different
 * readings, that are followed.  More than 4 takes a run of backslashes in the
 * secret.
 */

#define NGX_HTTP_IDPAY_REDACT_PLACES  16

/*
 * Characters to compare for each byte of a text, which counts as one of some
 * length if it is shorter; one that may be an escape counts as more.  A text
 * that takes more is overwritten from there on.
 */

#define NGX_HTTP_IDPAY_REDACT_STEPS   128
#define NGX_HTTP_IDPAY_REDACT_SHORT   1024
#define NGX_HTTP_IDPAY_REDACT_ESCAPE  8

/* bytes; base64 of parts of less would be found where no secret is */

#define NGX_HTTP_IDPAY_REDACT_BASE64  5

/* asterisks in place of a secret in a text that can get shorter */

#define NGX_HTTP_IDPAY_REDACT_STARS   3


#define ngx_http_idpay_redact_bit(i)  ((uint64_t) 1 << ((i) & 63))


typedef struct {
    u_char      *data;          /* base64: values of 6 bits, 64 is "=" */
    size_t       len;
    size_t       pad;           /* that may stand behind these */

    /* the first and the last character have bits of the neighbours in them */

    u_char       head;
    u_char       tail;

    unsigned     base64:1;
} ngx_http_idpay_redact_needle_t;


typedef struct {
    u_char      *pos;
    u_char      *end;
    u_char      *found;         /* end of the longest secret at "pos" */
    ngx_int_t    steps;         /* left */
    unsigned     last:1;
    unsigned     cut:1;         /* what follows the end may matter */
} ngx_http_idpay_redact_text_t;


typedef struct {
    u_char      *pos;
    size_t       len;           /* of the needle, that ends there */
} ngx_http_idpay_redact_place_t;


typedef struct {
    ngx_http_idpay_redact_place_t   places[NGX_HTTP_IDPAY_REDACT_PLACES];
    ngx_uint_t                      n;
    unsigned                        full:1;
} ngx_http_idpay_redact_places_t;


static ngx_int_t ngx_http_idpay_redact_add_latin1(
    ngx_http_idpay_redact_t *redact, ngx_str_t *value);
static ngx_int_t ngx_http_idpay_redact_add_base64(
    ngx_http_idpay_redact_t *redact, ngx_str_t *value, ngx_uint_t before);
static ngx_http_idpay_redact_needle_t *ngx_http_idpay_redact_push(
    ngx_http_idpay_redact_t *redact, u_char *data, size_t len);
static void ngx_http_idpay_redact_first(ngx_http_idpay_redact_t *redact);
static void ngx_http_idpay_redact_init(ngx_http_idpay_redact_text_t *text,
    u_char *p, size_t len, ngx_uint_t last);
static ngx_int_t ngx_http_idpay_redact_find(ngx_http_idpay_redact_t *redact,
    ngx_http_idpay_redact_text_t *text);
static uint64_t ngx_http_idpay_redact_start(ngx_http_idpay_redact_t *redact,
    ngx_http_idpay_redact_text_t *text, u_char *p);
static void ngx_http_idpay_redact_match(ngx_http_idpay_redact_text_t *text,
    ngx_http_idpay_redact_needle_t *needle, u_char *p);
static ngx_int_t ngx_http_idpay_redact_try(ngx_http_idpay_redact_text_t *text,
    ngx_http_idpay_redact_needle_t *needle, u_char *p, ngx_uint_t layers);
static void ngx_http_idpay_redact_step(ngx_http_idpay_redact_text_t *text,
    ngx_http_idpay_redact_needle_t *needle, size_t i, ngx_uint_t layers,
    ngx_http_idpay_redact_place_t *place,
    ngx_http_idpay_redact_places_t *next);
static u_char *ngx_http_idpay_redact_fold(ngx_http_idpay_redact_text_t *text,
    u_char *p);
static void ngx_http_idpay_redact_char(ngx_http_idpay_redact_needle_t *needle,
    size_t i, ngx_http_idpay_escape_t *ch,
    ngx_http_idpay_redact_places_t *next);
static ngx_inline ngx_uint_t ngx_http_idpay_redact_fits(
    ngx_http_idpay_redact_needle_t *needle, size_t i, ngx_uint_t c);
static void ngx_http_idpay_redact_place(ngx_http_idpay_redact_places_t *places,
    u_char *pos, size_t len);


ngx_http_idpay_redact_t *
ngx_http_idpay_redact_create(ngx_pool_t *pool, ngx_http_idpay_vault_t *vault)
{
    u_char                   *p;
    size_t                    size;
    ngx_http_idpay_redact_t  *redact;

    redact = ngx_palloc(pool, sizeof(ngx_http_idpay_redact_t));
    if (redact == NULL) {
        return NULL;
    }

    redact->min = 1;
    redact->max = 0;
    redact->vault = vault;

    if (ngx_array_init(&redact->needles, pool, 8,
                       sizeof(ngx_http_idpay_redact_needle_t))
        != NGX_OK)
    {
        return NULL;
    }

    size = 2 * 256 * sizeof(uint64_t);

    p = ngx_http_idpay_vault_alloc(vault, size + NGX_ALIGNMENT);
    if (p == NULL) {
        return NULL;
    }

    redact->first = (uint64_t *) ngx_align_ptr(p, NGX_ALIGNMENT);
    ngx_memzero(redact->first, size);
    redact->second = redact->first + 256;

    return redact;
}


ngx_int_t
ngx_http_idpay_redact_add(ngx_http_idpay_redact_t *redact, ngx_str_t *value)
{
    ngx_uint_t  before;

    if (value->len == 0) {
        return NGX_OK;
    }

    if (ngx_http_idpay_redact_push(redact, value->data, value->len) == NULL) {
        return NGX_ERROR;
    }

    ngx_http_idpay_redact_first(redact);

    if (ngx_http_idpay_redact_add_latin1(redact, value) != NGX_OK) {
        return NGX_ERROR;
    }

    if (value->len < NGX_HTTP_IDPAY_REDACT_BASE64) {
        return NGX_OK;
    }

    for (before = 0; before < 3; before++) {
        if (ngx_http_idpay_redact_add_base64(redact, value, before)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


/* bytes that somebody took for ISO 8859-1, and made UTF-8 of */

static ngx_int_t
ngx_http_idpay_redact_add_latin1(ngx_http_idpay_redact_t *redact,
    ngx_str_t *value)
{
    u_char  *p, *dst;
    size_t   i;

    p = ngx_http_idpay_vault_alloc(redact->vault, value->len * 2);
    if (p == NULL) {
        return NGX_ERROR;
    }

    dst = p;

    for (i = 0; i < value->len; i++) {
        dst += ngx_http_idpay_escape_utf8(dst, value->data[i]);
    }

    if ((size_t) (dst - p) == value->len) {
        return NGX_OK;
    }

    if (ngx_http_idpay_redact_push(redact, p, dst - p) == NULL) {
        return NGX_ERROR;
    }

    ngx_http_idpay_redact_first(redact);

    return NGX_OK;
}


ngx_int_t
ngx_http_idpay_redact_add_basic(ngx_http_idpay_redact_t *redact,
    ngx_str_t *user, ngx_str_t *password)
{
    u_char     *p;
    ngx_str_t   value;

    value.len = user->len + 1 + password->len;

    value.data = ngx_http_idpay_vault_alloc(redact->vault, value.len);
    if (value.data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(value.data, user->data, user->len);
    *p++ = ':';
    ngx_memcpy(p, password->data, password->len);

    return ngx_http_idpay_redact_add_base64(redact, &value, 0);
}


/*
 * Base64 of a value with so many bytes "before" it in its group of three.  The
 * characters at its ends may have bits of other bytes in them, which are not
 * compared.
 */

static ngx_int_t
ngx_http_idpay_redact_add_base64(ngx_http_idpay_redact_t *redact,
    ngx_str_t *value, ngx_uint_t before)
{
    u_char                          *p;
    size_t                           i, n, len, pad, chars;
    ngx_uint_t                       bits, b[2], k;
    ngx_http_idpay_redact_needle_t  *needle;

    static u_char  head[] = { 0xff, 0xcf, 0xc3 };
    static u_char  tail[] = { 0xff, 0xf0, 0xfc };

    len = before + value->len;
    pad = (3 - len % 3) % 3;

    /* as many characters are not of the value at all as bytes are not */

    chars = (len * 8 + 5) / 6 - before;

    p = ngx_http_idpay_vault_alloc(redact->vault, chars + pad);
    if (p == NULL) {
        return NGX_ERROR;
    }

    needle = ngx_http_idpay_redact_push(redact, p, chars + pad);
    if (needle == NULL) {
        return NGX_ERROR;
    }

    needle->len = chars;
    needle->pad = pad;
    redact->min = ngx_min(redact->min, chars);
    needle->head = head[before];
    needle->tail = tail[len % 3];
    needle->base64 = 1;

    for (i = 0; i < chars; i++) {
        bits = (i + before) * 6;
        n = bits / 8;

        for (k = 0; k < 2; k++, n++) {
            b[k] = (n < before || n >= len) ? 0 : value->data[n - before];
        }

        *p++ = (b[0] << 8 | b[1]) >> (10 - bits % 8) & 0x3f;
    }

    ngx_memset(p, 64, pad);

    ngx_http_idpay_redact_first(redact);

    return NGX_OK;
}


static ngx_http_idpay_redact_needle_t *
ngx_http_idpay_redact_push(ngx_http_idpay_redact_t *redact, u_char *data,
    size_t len)
{
    ngx_http_idpay_redact_needle_t  *needle;

    needle = ngx_array_push(&redact->needles);
    if (needle == NULL) {
        return NULL;
    }

    ngx_memzero(needle, sizeof(ngx_http_idpay_redact_needle_t));

    needle->data = data;
    needle->len = len;

    redact->max = ngx_max(redact->max, len * NGX_HTTP_IDPAY_REDACT_SPREAD);
    redact->min = (redact->needles.nelts == 1) ? len
                                               : ngx_min(redact->min, len);

    return needle;
}


/* notes what the needle that was added last can begin with, and go on with */

static void
ngx_http_idpay_redact_first(ngx_http_idpay_redact_t *redact)
{
    ngx_uint_t                       c, i;
    ngx_http_idpay_redact_needle_t  *needle;

    i = redact->needles.nelts - 1;
    needle = redact->needles.elts;

    for (c = 0; c < 256; c++) {
        if (ngx_http_idpay_redact_fits(&needle[i], 0, c)) {
            redact->first[c] |= ngx_http_idpay_redact_bit(i);
        }

        if (needle[i].len + needle[i].pad == 1
            || ngx_http_idpay_escape_begins(c)
            || (needle[i].base64 && c <= ' ')
            || ngx_http_idpay_redact_fits(&needle[i], 1, c))
        {
            redact->second[c] |= ngx_http_idpay_redact_bit(i);
        }
    }
}


size_t
ngx_http_idpay_redact_bytes(ngx_http_idpay_redact_t *redact, u_char *p,
    size_t len, ngx_uint_t last)
{
    size_t                         rest;
    ngx_int_t                      rc;
    ngx_http_idpay_redact_text_t   text;

    ngx_http_idpay_redact_init(&text, p, len, last);

    for ( ;; ) {
        rc = ngx_http_idpay_redact_find(redact, &text);

        if (rc != NGX_OK) {
            break;
        }

        ngx_memset(text.pos, '*', text.found - text.pos);
        text.pos = text.found;
    }

    rest = text.end - text.pos;

    if (rest > redact->max) {
        ngx_memset(text.pos, '*', rest);
        return len;
    }

    return len - rest;
}


void
ngx_http_idpay_redact_text(ngx_http_idpay_redact_t *redact, ngx_str_t *text)
{
    u_char                        *dst, *kept;
    size_t                         n;
    ngx_http_idpay_redact_text_t   t;

    if (text->len == 0) {
        return;
    }

    dst = text->data;
    kept = text->data;

    ngx_http_idpay_redact_init(&t, text->data, text->len, 1);

    while (ngx_http_idpay_redact_find(redact, &t) == NGX_OK) {

        dst = ngx_movemem(dst, kept, t.pos - kept);

        n = ngx_min(t.found - t.pos, NGX_HTTP_IDPAY_REDACT_STARS);
        ngx_memset(dst, '*', n);
        dst += n;

        t.pos = t.found;
        kept = t.found;
    }

    dst = ngx_movemem(dst, kept, t.end - kept);

    text->len = dst - text->data;
}


static void
ngx_http_idpay_redact_init(ngx_http_idpay_redact_text_t *text, u_char *p,
    size_t len, ngx_uint_t last)
{
    text->pos = p;
    text->end = p + len;
    text->found = NULL;
    text->steps = ngx_max(len, NGX_HTTP_IDPAY_REDACT_SHORT)
                  * NGX_HTTP_IDPAY_REDACT_STEPS;
    text->last = last ? 1 : 0;
    text->cut = 0;
}


/*
 * Moves "pos" on to the next secret and sets "found" to its end.  Returns
 * NGX_OK, NGX_AGAIN if what follows the text has to tell whether one begins
 * at "pos", or NGX_DECLINED with "pos" at the end if there is none.
 */

static ngx_int_t
ngx_http_idpay_redact_find(ngx_http_idpay_redact_t *redact,
    ngx_http_idpay_redact_text_t *text)
{
    u_char                          *p, *end;
    uint64_t                         first;
    ngx_uint_t                       i, n;
    ngx_http_idpay_redact_needle_t  *needle;

    needle = redact->needles.elts;
    n = redact->needles.nelts;

    text->found = NULL;
    text->cut = 0;

    end = text->end;

    if (text->last) {
        end -= ngx_min((size_t) (end - text->pos), redact->min - 1);
    }

    for (p = text->pos; p < end && n; p++) {

        if (ngx_http_idpay_escape_begins(*p)) {
            first = ngx_http_idpay_redact_start(redact, text, p);

        } else {
            first = redact->first[*p];

            if (text->end - p > 1) {
                first &= redact->second[p[1]];
            }
        }

        if (first == 0 && !text->cut) {
            continue;
        }

        for (i = 0; first && i < n; i++) {
            if (first & ngx_http_idpay_redact_bit(i)) {
                ngx_http_idpay_redact_match(text, &needle[i], p);
            }
        }

        if (text->steps < 0) {
            text->pos = p;
            text->found = text->end;
            return NGX_OK;
        }

        if (text->cut && !text->last) {
            text->pos = p;
            return NGX_AGAIN;
        }

        if (text->found) {
            text->pos = p;
            return NGX_OK;
        }
    }

    text->pos = text->end;

    return NGX_DECLINED;
}


/* which needles may begin with the escape at "p" */

static uint64_t
ngx_http_idpay_redact_start(ngx_http_idpay_redact_t *redact,
    ngx_http_idpay_redact_text_t *text, u_char *p)
{
    u_char                    utf8[4];
    uint64_t                  first;
    ngx_http_idpay_escape_t   ch;

    ngx_http_idpay_escape_read(&ch, p, text->end);

    first = redact->first[ch.code];

    while (ch.layers < NGX_HTTP_IDPAY_REDACT_LAYERS
           && ngx_http_idpay_escape_begins(ch.code))
    {
        ngx_http_idpay_escape_decode(&ch);

        if (ch.code < 0x100) {
            first |= redact->first[ch.code];
        }

        if (ch.point) {
            (void) ngx_http_idpay_escape_utf8(utf8, ch.code);
            first |= redact->first[utf8[0]];
        }
    }

    if (ch.cut) {
        text->cut = 1;
    }

    return first;
}


/* sets "found" if the needle is at "p", and longer than what was found there */

static void
ngx_http_idpay_redact_match(ngx_http_idpay_redact_text_t *text,
    ngx_http_idpay_redact_needle_t *needle, u_char *p)
{
    ngx_uint_t  layers;

    /*
     * Where there are too many readings to follow, the deepest go on.  So what
     * is encoded in fewer layers, but the same all over, is found with less.
     */

    layers = NGX_HTTP_IDPAY_REDACT_LAYERS;

    while (ngx_http_idpay_redact_try(text, needle, p, layers) != NGX_OK) {
        layers--;
    }
}


/*
 * Returns NGX_OK or NGX_DECLINED if not all readings could be followed, which
 * cannot be without layers.
 */

static ngx_int_t
ngx_http_idpay_redact_try(ngx_http_idpay_redact_text_t *text,
    ngx_http_idpay_redact_needle_t *needle, u_char *p, ngx_uint_t layers)
{
    size_t                           i, len;
    ngx_int_t                        rc;
    ngx_uint_t                       k;
    ngx_http_idpay_redact_places_t   places[2], *at, *next, *swap;

    rc = NGX_OK;
    len = needle->len + needle->pad;

    at = &places[0];
    next = &places[1];

    at->n = 1;
    at->places[0].pos = p;
    at->places[0].len = 0;

    for (i = 0; i < len && text->steps >= 0; i++) {
        next->n = 0;
        next->full = 0;

        for (k = 0; k < at->n; k++) {
            ngx_http_idpay_redact_step(text, needle, i, layers,
                                       &at->places[k], next);
        }

        if (next->n == 0) {
            break;
        }

        if (next->full) {
            rc = NGX_DECLINED;
        }

        swap = at;
        at = next;
        next = swap;

        for (k = 0; k < at->n && i + 1 >= needle->len; k++) {
            if (at->places[k].pos > text->found) {
                text->found = at->places[k].pos;
            }
        }
    }

    return rc;
}


/* adds to "next" where the readings of the next character lead to */

static void
ngx_http_idpay_redact_step(ngx_http_idpay_redact_text_t *text,
    ngx_http_idpay_redact_needle_t *needle, size_t i, ngx_uint_t layers,
    ngx_http_idpay_redact_place_t *place,
    ngx_http_idpay_redact_places_t *next)
{
    u_char                   *p;
    ngx_http_idpay_escape_t   ch;

    p = place->pos;

    if (place->len > i) {
        ngx_http_idpay_redact_place(next, p, place->len);
        return;
    }

    if (needle->base64 && i) {
        p = ngx_http_idpay_redact_fold(text, p);
    }

    if (p == text->end) {
        text->cut = 1;
        return;
    }

    text->steps--;

    if (ngx_http_idpay_redact_fits(needle, i, *p)) {
        ngx_http_idpay_redact_place(next, p + 1, i + 1);
    }

    if (!ngx_http_idpay_escape_begins(*p)) {
        return;
    }

    text->steps -= NGX_HTTP_IDPAY_REDACT_ESCAPE;

    ngx_http_idpay_escape_read(&ch, p, text->end);

    while (ch.layers < layers && ngx_http_idpay_escape_begins(ch.code)) {
        ngx_http_idpay_escape_decode(&ch);
        ngx_http_idpay_redact_char(needle, i, &ch, next);
    }

    if (ch.cut) {
        text->cut = 1;
    }
}


/* base64 may be written in lines (RFC 2045 6.8), those in a string of JSON */

static u_char *
ngx_http_idpay_redact_fold(ngx_http_idpay_redact_text_t *text, u_char *p)
{
    for ( /* void */ ; p < text->end; p++) {

        if (*p == '\\' && p + 1 < text->end
            && (p[1] == 'n' || p[1] == 'r'))
        {
            p++;

        } else if (*p != CR && *p != LF && *p != ' ' && *p != '\t') {
            break;
        }

        text->steps--;
    }

    return p;
}


static void
ngx_http_idpay_redact_char(ngx_http_idpay_redact_needle_t *needle, size_t i,
    ngx_http_idpay_escape_t *ch, ngx_http_idpay_redact_places_t *next)
{
    size_t  n;
    u_char  utf8[4];

    /* "\u00e9" can stand for a byte too, by one who takes bytes for Latin-1 */

    if (ch->code < 0x100
        && ngx_http_idpay_redact_fits(needle, i, ch->code))
    {
        ngx_http_idpay_redact_place(next, ch->next, i + 1);
    }

    if (ch->code < 0x80 || !ch->point || needle->base64) {
        return;
    }

    n = ngx_http_idpay_escape_utf8(utf8, ch->code);

    if (n <= needle->len - i
        && ngx_memcmp(needle->data + i, utf8, n) == 0)
    {
        ngx_http_idpay_redact_place(next, ch->next, i + n);
    }
}


static ngx_inline ngx_uint_t
ngx_http_idpay_redact_fits(ngx_http_idpay_redact_needle_t *needle, size_t i,
    ngx_uint_t c)
{
    ngx_uint_t  value;

    if (!needle->base64) {
        return needle->data[i] == c || (c == '+' && needle->data[i] == ' ');
    }

    value = ngx_http_idpay_escape_base64[c];

    if (i == 0) {
        value &= needle->head;
    }

    if (i == needle->len - 1) {
        value &= needle->tail;
    }

    return needle->data[i] == value;
}


static void
ngx_http_idpay_redact_place(ngx_http_idpay_redact_places_t *places,
    u_char *pos, size_t len)
{
    ngx_uint_t                      i;
    ngx_http_idpay_redact_place_t  *place, *least;

    place = places->places;
    least = place;

    for (i = 0; i < places->n; i++) {

        if (place[i].pos == pos && place[i].len == len) {
            return;
        }

        if (place[i].pos < least->pos) {
            least = &place[i];
        }
    }

    if (places->n < NGX_HTTP_IDPAY_REDACT_PLACES) {
        least = &place[places->n++];

    } else {
        places->full = 1;

        if (least->pos > pos) {
            return;
        }
    }

    least->pos = pos;
    least->len = len;
}
