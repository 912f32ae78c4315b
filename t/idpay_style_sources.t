#!/usr/bin/perl

# The sources keep the style of the house, and the checker sees what does not.

use strict;
use warnings;

use File::Temp qw(tempdir);
use Test::More;

# what stands in a source does not depend on the nginx that is tested with

plan skip_all => 'once is enough' if defined $ENV{IDPAY_MODULE};

is(`t/tools/style`, '', 'the sources keep the style');

my $good = <<'END';

/* a model of what is right */


#include <ngx_config.h>

#define ngx_http_idpay_twice(x)                                              \
    do { if (x) x++; } while (0)


static ngx_int_t ngx_http_idpay_walk(ngx_str_t *s,
    ngx_uint_t n);


static ngx_command_t  ngx_http_idpay_commands[] = {

    { ngx_string("a"),
      NGX_CONF_TAKE1,
      NULL },

      ngx_null_command
};


static ngx_int_t
ngx_http_idpay_walk(ngx_str_t *s, ngx_uint_t n)
{
    if (s == NULL
        || (n == 1 && ngx_strcmp(s->data, "sprintf(// if (x) y") == 0))
    {
        goto done;
    }

    do {
        n--;
    } while (n);

    switch (n) {

    case 0:
        return NGX_OK;

    default:
        break;
    }

    for ( ;; ) {
        if (n++ == 2) {
            break;

        } else if (n == 3) {
            continue;
        }
    }

done:

    return NGX_DECLINED;
}
END

my $dir = tempdir(CLEANUP => 1);
mkdir "$dir/src" or die $!;
mkdir "$dir/src/$_" or die $! for qw(policy lib);


sub style_of {
    my ($text, $file) = @_;

    $file = "$dir/src/" . ($file // 'policy/x.c');

    open my $fh, '>', $file or die "$file: $!";
    print $fh $text;
    close $fh or die $!;

    return `t/tools/style $file`;
}


is(style_of($good), '', 'what is right passes');

my @bad = (
    [ 'column 81', sub { s{/\* a}{'/* ' . 'a' x 80}e }, 'longer than 80' ],
    [ 'tab', sub { s/        goto/\tgoto/ }, 'tab' ],
    [ 'trailing blank', sub { s/break;/break; / }, 'trailing blanks' ],
    [ 'indent', sub { s/^    do \{$/   do {/m }, 'multiple of 4' ],
    [ 'comment', sub { s{n--;}{n--;  // less} }, 'comment with' ],
    [ 'if', sub { s/if \(n\+\+ == 2\) \{/if (n++ == 2)/ }, 'after if' ],
    [ 'else', sub { s/\} else if \(n == 3\) \{/} else\n/ }, 'after else' ],
    [ 'blank after for', sub { s/for \(/for(/ }, 'no blank after for' ],
    [ 'prototype', sub { s/^static ngx_int_t ngx.*?;//ms }, 'no prototype' ],
    [ 'type', sub { s/^(static ngx_int_t)\n/$1 /m }, 'on its own line' ],
    [ 'gap', sub { $_ .= "\nint  x;\n" }, 'not 2' ],
    [ 'banned', sub { s/n--;/strcpy(a, b);/ }, 'banned' ],
    [ 'end of file', sub { s/\n\z// }, 'no newline' ],
    [ 'empty end', sub { $_ .= "\n" }, 'empty line at end' ],
    [ 'length', sub { $_ .= "\n\nint  x;\n" . "\n" x 800 . "int  y;\n" },
      'more than 800' ],
    [ 'library', sub { s/<ngx_config.h>/<curl\/curl.h>/ }, 'src/lib alone' ],
    [ 'room', sub { s/<ngx_config.h>/"..\/request\/a.h"/ }, 'may not include' ],
);

for (@bad) {
    my ($name, $spoil, $complaint) = @$_;

    local $_ = $good;
    $spoil->();
    like(style_of($_), qr/\Q$complaint\E/, $name);
}

my $lib = $good =~ s{<ngx_config.h>}{<curl/curl.h>}r;

is(style_of($lib, 'lib/x.c'), '', 'a library in the room of libraries');

done_testing();
