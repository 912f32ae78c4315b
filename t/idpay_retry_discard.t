#!/usr/bin/env perl

# The answer of an attempt that is followed by another one is read to its end if
# that comes soon, so that the connection is used again, and reaches nobody.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('plusid',
    limits => 'idpay_retry base=20ms budget=100%; idpay_breaker off;');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_plusid%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location / { idpay_pass plusid/; }

        location /unbuffered/ {
            proxy_buffering off;
            idpay_pass plusid/;
        }
    }
}
CONF
$t->run;

# Two of them, and then the provider's own answer. What is new: connections.
my @answers = (
    [ 'short',    0, status => 503, body => 'discarded' ],
    [ 'empty',    0, status => 503, body => '' ],
    [ 'long',     0, status => 503, body_size => 400_000 ],
    [ 'chunked',  0, status => 503, body_size => 100_000, chunked => 1 ],
    [ 'cut',      2, status => 500, body_size => 10_000,
        truncate => 'mid_body' ],
    [ 'endless',  2, status => 500, endless => 1 ],
);

for my $location ('', '/unbuffered') {
    for my $answer (@answers) {
        my ($name, $new, %rule) = @$answer;
        $name .= $location;

        # the budget is for all calls of the last seconds
        $sim->behave;
        $t->get("$location/v1/requests") for 1 .. 3;
        my $before = $sim->connections;

        $sim->clear->misbehave(times => 2, %rule,
            headers => [ [ 'X-Discarded', 1 ], [ 'Set-Cookie', 'a=b' ] ]);
        my $r = $t->get("$location/v1/requests/none");

        is $r->status, 404, "$name: the last answer";
        is $r->header('X-Discarded'), undef, "$name: not its header";
        unlike $r->body, qr/discarded|xxx/, "$name: not its body";
        is $r->complete, 1, "$name: complete";
        is scalar @{ $sim->requests }, 3, "$name: three attempts";
        is $sim->connections - $before, $new, "$name: connections";
    }
}

done_testing;
