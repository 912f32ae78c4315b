#!/usr/bin/env perl

# Where a person is sent to give consent: the provider's page, with a state
# that nobody can read or make, tied to this browser by a cookie.

use strict;
use warnings;

use MIME::Base64 qw(decode_base64url);
use Test::Idpay;
use Test::Idpay::Consent qw(begin cookie_of);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay', tls => 0);
my $two = $t->sim(
    'gopay',
    tls    => 0,
    name   => 'two',
    limits => 'idpay_consent_url https://pay.test/consent?lang=cs;',
);
$t->ca;
my ($cert, $key) = Test::Idpay::Cert->new($t->dir . '/certs')->pair('good');

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store%%;

    %%UPSTREAM_gopay%%
    %%UPSTREAM_two%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        listen 127.0.0.1:%%PORT_8081%% ssl;
        ssl_certificate $cert;
        ssl_certificate_key $key;

        location = /consent { idpay_consent_start gopay; }
        location = /two { idpay_consent_start two; }
        location = /back {
            idpay_consent_start
                gopay redirect_uri=http://a.test/back?x=1&y=%20;
        }
        location = /secure {
            idpay_consent_start gopay redirect_uri=HTTPS://a.test/back;
        }
        location = /limited {
            idpay_consent_start gopay;
            limit_except GET { deny all; }
        }
        location = /if {
            idpay_consent_start gopay redirect_uri=https://a.test/if;
            if (\$arg_state) { set \$x 1; }
        }
    }
}
CONF
$t->run;

my $id = $t->secret_value('gopay_client_id');

# What the sealed state is, whatever it is.
my $sealed = qr/^[A-Za-z0-9_-]{112,}$/;


# The arguments of a location, "state" by its form alone.
sub args_of {
    my $begun = shift;

    return [
        map {
            my ($name, $value) = @$_;
            [ $name, $name eq 'state' && $value =~ $sealed ? '*' : $value ]
        } @{ $begun->{args} }
    ];
}


subtest 'the redirect' => sub {
    my $begun = begin($t);
    my $r     = $begun->{response};

    is $r->status, 302, 'a redirect';
    is $begun->{url}, 'https://auth.gopay.com/consent', 'to the consent page';
    is_deeply args_of($begun),
        [
        [ 'scopes[]', 'perm.client.identification:read' ],
        [ client_id => $id ],
        [ state     => '*' ],
        ],
        'with what it needs';
    unlike $begun->{location}, qr/[^!-~]/, 'all of it is visible';
    is index($r->raw, $t->secret_value('gopay_client_secret')), -1,
        'and the secret stays here';

    is $r->header('Cache-Control'), 'no-store', 'nobody keeps it';
    is $r->header('Referrer-Policy'), 'no-referrer',
        'and the page is not told where from';
    is $r->header('Content-Length'), 0, 'no body';
    is $r->body, '', 'none at all';

    my @same = $r->headers('Location');
    is @same, 1, 'one location';
};


subtest 'the cookie' => sub {
    my $begun = begin($t);

    like cookie_of($begun->{response}),
        qr{^idpay_consent=[A-Za-z0-9_-]{43};\ Path=/;\ HttpOnly;
           \ SameSite=Lax;\ Max-Age=3600$}x, 'as it is to be';
    is scalar(my @all = $begun->{response}->headers('Set-Cookie')), 1, 'one';

    my %seen;
    for (1 .. 20) {
        my $next = begin($t, headers => [ [ Cookie => $begun->{cookie} ] ]);
        $seen{ $next->{cookie} }++;
        $seen{ $next->{state} }++;
    }
    is keys %seen, 40, 'each time another one, and another state';

    my $tls = begin($t, port => 8081, ssl => 1);
    like cookie_of($tls->{response}), qr/; Max-Age=3600; Secure$/,
        'over TLS for TLS only';
    like cookie_of(begin($t, at => '/secure')->{response}),
        qr/; Max-Age=3600; Secure$/, 'so where the browser comes back by TLS';
    unlike cookie_of(begin($t, at => '/back')->{response}), qr/Secure/,
        'not where it does not';
};


subtest 'redirect_uri' => sub {
    is_deeply args_of(begin($t, at => '/back'))->[2],
        [ redirect_uri => 'http://a.test/back?x=1&y=%20' ],
        'is sent, encoded once more';
    like begin($t, at => '/back')->{location},
        qr/&redirect_uri=http%3A%2F%2Fa\.test%2Fback%3Fx%3D1%26y%3D%2520&/,
        'as this';
    is_deeply args_of(begin($t, at => '/if', state => 'x'))->[2],
        [ redirect_uri => 'https://a.test/if' ], 'within "if" too';
};


subtest 'another consent page' => sub {
    my $begun = begin($t, at => '/two');

    is $begun->{url}, 'https://pay.test/consent', 'of idpay_consent_url';
    is_deeply args_of($begun),
        [
        [ lang => 'cs' ],
        [ 'scopes[]', 'perm.client.identification:read' ],
        [ client_id => $id ],
        [ state     => '*' ],
        ],
        'whose arguments stay';
};


subtest 'the caller\'s state' => sub {
    my $begun = begin($t, state => 'order-4711');

    like $begun->{state}, $sealed, 'is sealed';
    unlike decode_base64url($begun->{state}), qr/order|4711/,
        'nobody can read it';
    my %length = map { $_ => length begin($t, state => 'x' x $_)->{state} }
        (1, 512);
    cmp_ok $length{512} - $length{1}, '>', 600, 'it is in there';

    is begin($t, state => "\xff" x 512)->{response}->status, 302,
        '512 bytes, each encoded';
    for my $long ('x' x 513, "\xff" x 513, '%' x 600) {
        my $r = begin($t, state => $long)->{response};
        is $r->status, 400, 'more are refused';
        is $r->json->{code}, 'request_rejected', 'by the gateway';
        is $r->json->{detail},
            'the argument "state" is longer than 512 bytes', 'with a reason';
        is cookie_of($r), '', 'without a cookie';
        is $r->header('Location'), undef, 'without a redirect';
        is $r->header('Cache-Control'), 'no-store', 'and it is not kept';
    }
    is $t->get('/consent?state=&x=y')->status, 302, 'an empty one is none';
    is $t->get('/consent?state=%zz%2')->status, 302, 'any bytes will do';
};


subtest 'prefill_id' => sub {
    my $id = 'GhUhElzTqPmA5tUVJzO74SeMFt0Y3NEhpvQhbu5sTI8COWYqJFrdki';

    is_deeply args_of(begin($t, prefill_id => $id))->[-1],
        [ prefill_id => $id ], 'is handed on';

    my $evil = "x&client_id=evil\r\nSet-Cookie: a=b#\x00";
    my $begun = begin($t, prefill_id => $evil);
    is_deeply args_of($begun)->[-1], [ prefill_id => $evil ],
        'whatever it is';
    is grep({ $_->[0] eq 'client_id' } @{ $begun->{args} }), 1,
        'and nothing else';
    is scalar(my @all = $begun->{response}->headers('Set-Cookie')), 1,
        'no header of the caller\'s';

    is begin($t, prefill_id => 'x' x 512)->{response}->status, 302,
        '512 bytes';
    my $r = begin($t, prefill_id => 'x' x 513)->{response};
    is $r->status, 400, 'more are refused';
    is $r->json->{detail}, 'the argument "prefill_id" is longer than 512 bytes',
        'with a reason';
};


subtest 'methods' => sub {
    my $r = $t->http(HEAD => '/consent?state=x');
    is $r->status, 302, 'HEAD';
    like $r->header('Location'), qr/&state=/, 'has the location';

    for my $method (qw(POST PUT DELETE OPTIONS PATCH)) {
        my $r = $t->http($method => '/consent',
            $method eq 'POST' ? (body => 'state=x') : ());
        is $r->status, 405, $method;
        is $r->header('Allow'), 'GET, HEAD', 'and what is allowed';
        is $r->json->{code}, 'request_rejected', 'the problem';
        is cookie_of($r), '', 'no cookie';
    }

    is $t->get('/limited')->status, 302, 'limit_except, GET';
    is $t->post('/limited', 'x')->status, 403, 'limit_except, POST';

    is $t->get('/consent?state=x', body => 'y' x 100_000)->status, 302,
        'a body that nobody wants';
};


is_deeply $sim->requests, [], 'the provider has not been asked';

done_testing;
