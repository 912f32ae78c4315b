#!/usr/bin/env perl

# Who looks after consents sees which there are, a page at a time, and never a
# token.

use strict;
use warnings;

use Mojo::JSON qw(decode_json);
use Test::Idpay;
use Test::Idpay::Consent qw(give watch);
use Test::Idpay::Gopay   qw(profile);
use Test::More;
use Time::Local qw(timegm);

# A page has so many consents at most.
use constant PAGE => 999;

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay', tls => 0);
my $two = $t->sim('gopay', tls => 0, name => 'two');


sub configure {
    my $store = shift;

    return $t->config(<<"CONF", workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    $store

    %%UPSTREAM_gopay%%
    %%UPSTREAM_two%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location / { idpay_pass gopay; }
        location = /consent { idpay_consent_start gopay; }
        location = /callback { idpay_consent_callback gopay; }
        location = /two-consent { idpay_consent_start two; }
        location = /two-callback { idpay_consent_callback two; }

        location /consents/ { idpay_consents gopay; }
        location /bare { idpay_consents gopay; }
        location /two/ { idpay_consents two; }
        location /denied/ { idpay_consents gopay; deny all; }
        location = /exact { idpay_consents gopay; }
        location /rewritten/ {
            rewrite ^/rewritten/(.*)\$ /elsewhere/\$1 break;
            idpay_consents gopay;
        }
    }
}
CONF
}


sub listed {
    my $r = shift;
    return [ map { $_->{client_profile_id} } @{ $r->json->{consents} } ];
}


sub not_found_ok {
    my ($r, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $problem = $r->json;
    return is_deeply [ $r->status, @$problem{qw(code detail provider fault)} ],
        [ 404, 'not_found', 'there is no consent of this profile', 'gopay',
        'caller' ], $name;
}


sub time_of {
    my ($y, $m, $d, $h, $min, $s)
        = $_[0] =~ /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z$/ or return 0;
    return timegm($s, $min, $h, $d, $m - 1, $y);
}


sub test_nothing {
    for my $uri ('/consents/', '/bare', '/bare/', '/exact', '/consents/?x=1') {
        my $r = $t->get($uri);
        is $r->status, 200, $uri;
        is $r->body, qq({"consents":[]}\r\n), 'none';
        is $r->header('Content-Type'), 'application/json', 'JSON';
        is $r->header('Cache-Control'), 'no-store', 'nobody keeps it';
    }
    not_found_ok $t->get('/consents/123'), 'not one';
    return;
}


sub test_one {
    my $before = time;
    give($t, $sim, 123);
    my $after = time;

    my $r = $t->get('/consents/123');
    is $r->status, 200, 'it is there';
    like $r->body, qr/^\{"client_profile_id":123,"state":"valid",
        "generation":1,"expires_in":\d+,"updated":"[0-9TZ:-]+"\}\r\n$/x,
        'as it is to be';

    my $one = $r->json;
    ok $one->{expires_in} > 3500 && $one->{expires_in} <= 3600,
        "expires in $one->{expires_in} s";
    my $updated = time_of($one->{updated});
    ok $updated >= $before - 1 && $updated <= $after + 1, 'just written';

    # time goes on
    for ([ 'the list', $t->get('/consents/')->json->{consents}[0] ],
        [ 'without a slash', $t->get('/bare/123')->json ])
    {
        my ($name, $same) = @$_;
        cmp_ok delete $same->{expires_in}, '<=', $one->{expires_in}, $name;
        is_deeply $same, { %$one{ grep { $_ ne 'expires_in' } keys %$one } },
            'the same';
    }
    is_deeply listed($t->get('/consents/')), [123], 'nothing else';
    is $t->http(HEAD => '/consents/123')->status, 200, 'HEAD';
    is $t->http(HEAD => '/consents/')->status, 200, 'HEAD of all';
    is $t->get('/denied/123')->status, 403, 'who may not, does not';

    my $shown = $r->raw . $t->get('/consents/')->raw;
    is_deeply [ grep { index($shown, $_->{token}) >= 0 }
            @{ $sim->act(do => 'issued') } ], [], 'no token in it';

    give($t, $sim, 123);
    is $t->get('/consents/123')->json->{generation}, 2, 'another consent';

    $sim->act(do => 'expire', kind => 'client', profile => 123);
    is profile($t, 123)->status, 200, 'renewed';
    is $t->get('/consents/123')->json->{generation}, 3, 'a newer token';
    is_deeply listed($t->get('/consents/')), [123], 'of the same';
    return;
}


sub test_gone {
    give($t, $sim, 7);
    $sim->act(do => 'revoke_family', profile => 7);
    is profile($t, 7)->status, 403, 'the person has taken it back';

    my $one = $t->get('/consents/7')->json;
    is $one->{state}, 'gone', 'it is seen';
    is_deeply [ map {"$_->{client_profile_id} $_->{state}"}
            @{ $t->get('/consents/')->json->{consents} } ],
        [ '7 gone', '123 valid' ], 'in the list too';

    give($t, $sim, 7);
    is $t->get('/consents/7')->json->{state}, 'valid', 'and given again';
    return;
}


sub test_order {
    my @profiles = (9, 10, 99, 100, 1000, 8, 12345678901234567, 2, 20, 200,
        9007199254740993);
    give($t, $sim, $_) for @profiles;
    give($t, $two, $_, at => '/two-consent', callback => '/two-callback')
        for 5, 6;

    my @all = sort { $a <=> $b } 7, 123, @profiles;
    my $r   = $t->get('/consents/');
    is_deeply listed($r), \@all, 'by their numbers';
    like $r->body, qr/"client_profile_id":9007199254740993,/,
        'each as it is';
    ok !exists $r->json->{next}, 'that is all';

    is_deeply listed($t->get('/two/')), [ 5, 6 ], 'another provider\'s';
    is $t->get('/two/7')->status, 404, 'has no others';
    not_found_ok $t->get('/consents/5'), 'and the other way round';

    for my $after (1, 2, 50, 99, 200, '9' x 19) {
        is_deeply listed($t->get("/consents/?after=$after")),
            [ grep { $_ > $after } @all ], "after $after";
    }
    is_deeply listed($t->get('/consents/?after=')), \@all, 'after nothing';
    for my $after ('x', '01', '0', '-1', '1x', '1' x 20, '%00', "1'") {
        my $r = $t->get("/consents/?after=$after");
        is $r->status, 400, "after $after";
        is $r->json->{detail}, 'the argument "after" is no profile\'s number',
            'is refused';
    }
    return;
}


sub test_names {
    for my $id (qw(0 0123 01 abc 1a -1 +1 1.0 1%20 12/3 123/ %31%32%33x),
        '1' x 20, '1' x 4000, "1'--")
    {
        not_found_ok $t->get("/consents/$id"), 'no ' . substr $id, 0, 20;
    }
    not_found_ok $t->get('/rewritten/123'), 'not outside of the location';
    not_found_ok $t->get('/barely/123'), 'not beside it';
    not_found_ok $t->get('/bare123'), 'what is not below the location';
    is $t->get('/consents/%31%32%33')->json->{client_profile_id}, 123,
        'another spelling';
    return;
}


sub test_methods {
    for (
        [ POST    => '/consents/',    'GET, HEAD' ],
        [ DELETE  => '/consents/',    'GET, HEAD' ],
        [ OPTIONS => '/consents/',    'GET, HEAD' ],
        [ POST    => '/consents/123', 'GET, HEAD, DELETE' ],
        [ PUT     => '/consents/123', 'GET, HEAD, DELETE' ],
        )
    {
        my ($method, $uri, $allow) = @$_;
        my $r = $t->http($method, $uri);
        is $r->status, 405, "$method $uri";
        is $r->header('Allow'), $allow, "allowed: $allow";
        is $r->json->{code}, 'request_rejected', 'the problem';
    }
    is $t->get('/consents/123')->status, 200, 'it is still there';
    return;
}


# The callers leave before the answer.
sub test_leaving {
    for (1 .. 50) {
        my $socket = $t->get($_ % 2 ? '/consents/' : '/consents/123',
            no_read => 1);
        close $socket;
    }
    is $t->get('/consents/123')->status, 200, 'the next one is answered';
    return;
}


sub test_pages {
    my @all = (100_001 .. 100_000 + PAGE);

    # of the others there are some already
    my $have = @{ listed($t->get('/consents/')) };
    give($t, $sim, $_) for @all[ 0 .. PAGE - 1 - $have ];

    my $r = $t->get('/consents/');
    is scalar @{ listed($r) }, PAGE, 'a whole page';
    ok !exists $r->json->{next}, 'and that is all';

    give($t, $sim, 900_000);
    $r = $t->get('/consents/');
    is scalar @{ listed($r) }, PAGE, 'one more: a page';
    is $r->json->{next}, listed($r)->[-1], 'that others follow';
    is ref \$r->json->{next}, 'SCALAR', 'as a text';
    like $r->body, qr/\],"next":"\d+"\}\r\n$/, 'as it is to be';

    # the largest is not the last one given
    my $rest = $t->get('/consents/?after=' . $r->json->{next});
    my @rest = @{ listed($rest) };
    is @rest, 1, 'the other page';
    ok !exists $rest->json->{next}, 'is the last';
    ok $rest[0] > $r->json->{next}, 'it goes on there';
    return;
}


my @tests = (
    [ 'nothing'           => \&test_nothing ],
    [ 'a consent'         => \&test_one ],
    [ 'one that is gone'  => \&test_gone ],
    [ 'many'              => \&test_order ],
    [ 'what is no profile' => \&test_names ],
    [ 'methods'           => \&test_methods ],
    [ 'callers who leave' => \&test_leaving ],
);

configure('idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store%%;');
$t->run;

for (@tests) {
    my ($name, $code) = @$_;
    subtest "$name, with a store" => $code;
}

subtest 'a restart' => sub {
    my $before = $t->get('/consents/')->json;

    $t->quit;
    $t->run;

    my $after = $t->get('/consents/')->json;
    delete $_->{expires_in} for map { @{ $_->{consents} } } $before, $after;
    is_deeply $after, $before, 'all are still there';
};

# some hundred tokens more would take minutes to look for
watch($t, $sim);

SKIP: {
    skip 'too slow', 1 if $t->instrumented;
    subtest 'pages, with a store' => \&test_pages;
}

$t->quit;
configure('');
$t->run;

for (@tests) {
    my ($name, $code) = @$_;
    subtest "$name, without a store" => $code;
}

SKIP: {
    skip 'too slow', 1 if $t->instrumented;
    subtest 'pages, without a store' => \&test_pages;
}

done_testing;
