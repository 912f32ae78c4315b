#!/usr/bin/env perl

# The body of a call that is made again is sent again, whole and the same,
# wherever it was kept: in memory, in a file, or in both.

use strict;
use warnings;

use Digest::SHA   qw(sha256_hex);
use Idpay::Filler qw(filler);
use Test::Idpay;
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate',
    limits => 'idpay_retry tries=3 base=1ms budget=100%; idpay_breaker off;'
        . 'idpay_adaptive off;');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;
    client_max_body_size 30m;

    %%UPSTREAM_gate%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /memory/ { idpay_pass gate; client_body_buffer_size 2m; }
        location /file/   { idpay_pass gate; client_body_buffer_size 8k; }
        location /tiny/   { idpay_pass gate; client_body_buffer_size 512; }
        location /single/ { idpay_pass gate; client_body_in_single_buffer on; }
        location /clean/  { idpay_pass gate; client_body_in_file_only clean; }
        location /stream/ { idpay_pass gate; proxy_request_buffering off; }
    }
}
CONF
$t->run;

my %body = map { $_ => filler(0, $_) } 0, 1, 100, 8192, 1_100_000, 20_000_000;


my $socket;


# A call that fails twice by this rule. As many retries as calls are allowed.
sub is_sent_thrice {
    my ($name, $rule, $method, $uri, $size, %opt) = @_;

    $sim->behave;
    $socket = $t->get('/memory/', socket => $socket)->socket for 1 .. 6;
    $sim->clear->misbehave(times => 2, @$rule);

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $sha   = sha256_hex($body{$size});
    my $at    = 0;
    my $piece = sub {
        $at += 70_000;
        return $at - 70_000 < $size ? substr $body{$size}, $at - 70_000, 70_000
            : '';
    };
    my $r = $t->http($method, $uri, timeout => 60,
        $opt{chunked} ? (body => $piece, chunked => 1)
        : (body => $body{$size}));

    is $r->status, 200, "$name: in the end";
    is $r->json->{body_sha256}, $sha, "$name: with the same body";

    # of an attempt that the provider cut off there may be less
    my @requests = @{ $sim->requests };
    @requests = grep { $_->{complete} } @requests if $opt{cut};
    is_deeply [ map {"$_->{body_length} $_->{body_sha256}"} @requests ],
        [ ("$size $sha") x ($opt{cut} ? 1 : 3) ], "$name: each time";
    is scalar grep({ $sim->header($_, 'Content-Length') == 1 } @requests),
        scalar @requests, "$name: framed alike"
        if $size;
    return;
}


for my $place (qw(memory file tiny single clean stream)) {
    subtest "kept in: $place" => sub {
        for my $size (0, 1, 100, 8192, 1_100_000) {
            for my $chunked (0, 1) {
                my $how = $chunked ? 'chunked' : 'with its length';

                is_sent_thrice("$size bytes $how", [ status => 503 ],
                    PUT => "/$place/", $size, chunked => $chunked);
            }
        }
    };
}


subtest 'a long one' => sub {
    for my $chunked (0, 1) {
        is_sent_thrice(($chunked ? 'chunked' : 'with its length'),
            [ status => 500 ],
            PUT => '/file/', 20_000_000, chunked => $chunked);
    }
};


# 429, so that POST is made again too.
subtest 'of a POST' => sub {
    for my $size (0, 100, 1_100_000) {
        is_sent_thrice("$size bytes", [ status => 429 ],
            POST => '/file/', $size);
    }
};


subtest 'no answer' => sub {
    for my $rule ([ reset => 'before_header' ], [ close => 'no_answer' ]) {
        for my $place (qw(memory file tiny)) {
            is_sent_thrice("@$rule, $place", $rule,
                PUT => "/$place/", 1_100_000);
        }
    }
};


# The provider does not wait for the end of the body.
subtest 'cut off on the way' => sub {
    for my $rule ([ status => 503, body => 'early' ],
        [ reset => 'before_header' ])
    {
        for my $place (qw(memory file)) {
            is_sent_thrice("@$rule, $place", [ early => 1, @$rule ],
                PUT => "/$place/", 1_100_000, cut => 1);
        }
    }
};


$sim->behave;
ok wait_until(20, sub { !glob $t->dir . '/client_body_temp/*' }),
    'no file is left';

done_testing;
