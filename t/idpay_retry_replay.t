#!/usr/bin/env perl

# Which calls are made again, after what: every kind of call of each provider
# with every way to fail. Each comes again once at most, so that there are one
# or two at the provider.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Load    qw(park);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my @presets = qw(plusid plasmapay passportreader plaid generic);

my $limits = 'idpay_rate off; idpay_adaptive off; idpay_breaker off;'
    . 'idpay_retry tries=2 base=1ms budget=100%;';
my $rules = <<'CONF';
        idpay_replay_safe  POST /post;
        idpay_replay_safe  PATCH /patch;
        idpay_replay_safe  /any;
        idpay_replay_safe  POST /tree/*;
        idpay_replay_safe  POST /part*;
        idpay_replay_safe  /all/*;
CONF

my $t = Test::Idpay->new;
my %sim = map {
    $_ => $t->sim($_, limits => $limits . ($_ eq 'generic' ? $rules : ''))
} @presets;

# The same presets where nobody listens.
my %secrets = (
    plusid         => [ 'api_key', 'plusid_api_key' ],
    plasmapay      => [ 'api_key', 'plasmapay_api_key' ],
    passportreader => [
        'public_key', 'passportreader_public_key',
        'secret',     'passportreader_secret',
    ],
    plaid   => [ 'client_id', 'plaid_client_id', 'secret', 'plaid_secret' ],
    generic => [ 'key',       'key' ],
);
my $refused = join '', map {
    my ($preset, @secrets) = ($_, @{ $secrets{$_} });
    my $text = "upstream none_$preset { server 127.0.0.1:%%PORT_none%%;"
        . "idpay_provider $preset; idpay_host $preset.test; $limits";
    $text .= 'idpay_auth header X-Key;' . $rules if $preset eq 'generic';
    while (my ($name, $of) = splice @secrets, 0, 2) {
        $text .= "idpay_secret $name file:%%SECRET_$of%%;";
    }
    "    $text }\n";
} @presets;

# A server for each provider, since what is sent is the caller's own target;
# one more each with a short time limit, and one that leads nowhere.
my ($port, %port) = 9000;
my @passes  = map { ($_, "slow_$_", "none_$_") } @presets;
my $servers = join '', map { <<"CONF" } @passes;
    server {
        listen 127.0.0.1:%%PORT_@{[ $port{$_} = $port++ ]}%%;
        @{[ /^slow/ ? 'proxy_read_timeout 250ms;' : '' ]}
        location / { idpay_pass @{[ s/^slow_//r ]}; }
        location /mapped/ { idpay_pass @{[ s/^slow_//r ]}/tree/; }
    }
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format replay '\$request_uri \$status \$idpay_attempts \$idpay_outcome';
    access_log %%TESTDIR%%/replay.log replay;
    idpay_trusted_certificate %%CA%%;
    client_body_buffer_size 4k;

    %%UPSTREAM_plusid%%
    %%UPSTREAM_plasmapay%%
    %%UPSTREAM_passportreader%%
    %%UPSTREAM_plaid%%
    %%UPSTREAM_generic%%
$refused
$servers
}
CONF
$t->run;

# Calls: 1 if it may be made twice, preset, method, path, body.
my $reader = '/api/v1/session';
my $verify = '/identity_verification';
my $flag   = '"is_idempotent"';
my $filler = '"filler":"' . 'x' x 30_000 . '"';

my @calls = (
    [ 1, plusid => GET     => '/v1/requests' ],
    [ 1, plusid => HEAD    => '/v1/requests' ],
    [ 1, plusid => OPTIONS => '/v1/requests' ],
    [ 1, plusid => PUT     => '/v1/requests/1',        '{}' ],
    [ 1, plusid => DELETE  => '/v1/requests/1' ],
    [ 0, plusid => POST    => '/v1/requests',          '{}' ],
    [ 0, plusid => POST    => '/v1/requests/1/cancel', '{}' ],
    [ 0, plusid => PATCH   => '/v1/requests/1',        '{}' ],
    [ 0, plusid => POST    => '/v1/requests' ],

    [ 1, plasmapay => GET    => '/business/api/v1/public/ping' ],
    [ 1, plasmapay => GET    => '/business/api/v1/public/invoices' ],
    [ 1, plasmapay => PUT    => '/business/api/v1/public/invoices/1', '{}' ],
    [ 1, plasmapay => DELETE => '/business/api/v1/public/invoices/1' ],
    [ 0, plasmapay => POST   => '/business/api/v1/public/invoices',   '{}' ],

    (map { [ 1, passportreader => POST => $_, '{}' ] }
        map { ("$reader.$_", "/api/session.$_") } qw(get list state create)),
    (map { [ 0, passportreader => POST => $_, '{}' ] }
        "$reader.update", "$reader.delete", "$reader.getall", "$reader.get/",
        "$reader.get/x", "$reader.GET", "$reader%2Eget", '/api/v1/user.get',
        '/api/v1/user.create', '/api/v2/session.get', '/session.get',
        "/x$reader.get", '/api/v1/../v1/session.get', '/api//v1/session.get'),
    [ 1, passportreader => POST => "$reader.state?a=1", '{}' ],

    [ 1, plaid => POST => "$verify/get",    '{}' ],
    [ 1, plaid => POST => "$verify/list",   '{}' ],
    [ 1, plaid => GET  => "$verify/create" ],
    [ 0, plaid => POST => "$verify/retry",  '{}' ],
    [ 0, plaid => POST => "$verify/retry",  "{$flag:true}" ],
    [ 0, plaid => POST => "$verify/create" ],
    [ 0, plaid => POST => "$verify/create/", "{$flag:true}" ],
    [ 0, plaid => POST => "$verify/autofill/create", "{$flag:true}" ],
    [ 0, plaid => PATCH => "$verify/create", "{$flag:true}" ],
    (map { [ 1, plaid => POST => "$verify/create", $_ ] }
        "{$flag:true}",
        "{\"a\":{$flag:false},$flag : true }",
        "{$filler,$flag:true}"),
    (map { [ 0, plaid => POST => "$verify/create", $_ ] }
        '{}',
        "{$flag:false}",
        "{$flag:\"true\"}",
        "{$flag:1}",
        "{$flag:null}",
        "{$flag:[true]}",
        "{\"user\":{$flag:true}}",
        "{\"a\":[{$flag:true}]}",
        "{$flag:true,$flag:false}",
        "{$flag:false,$flag:true}",
        "{$flag:true,\"is_\\u0069dempotent\":false}",
        "{\"IS_IDEMPOTENT\":true}",
        "{\"a\":\"\\\"is_idempotent\\\":true\"}",
        "{$filler}"),

    [ 1, generic => GET   => '/tree/../x' ],
    [ 0, generic => POST  => '/x',                  'a=b' ],
    [ 1, generic => POST  => '/post',               'a=b' ],
    [ 1, generic => POST  => '/post?a=/../b%2F' ],
    [ 0, generic => PATCH => '/post',               'a=b' ],
    [ 1, generic => PATCH => '/patch',              'a=b' ],
    [ 0, generic => POST  => '/patch',              'a=b' ],
    [ 1, generic => POST  => '/any' ],
    [ 1, generic => PATCH => '/any' ],
    [ 1, generic => PROPFIND => '/any' ],
    [ 0, generic => PROPFIND => '/' ],
    [ 0, generic => PATCH => '/tree/a' ],
    [ 1, generic => PATCH => '/all/a' ],
    [ 1, generic => POST  => '/mapped/a%41',        'a=b' ],
    (map { [ 1, generic => POST => $_ ] }
        '/tree/', '/tree/a', '/tree/a/b.c;d', '/part', '/parting', '/part/a'),
    (map { [ 0, generic => POST => $_ ] }
        qw(/post/ /post/x /postx /Post /pos%74 /x/../post //post /./post /tree
        /tree/.. /tree/../x /tree/a/../../x /tree/./a /tree//a /tree/%61
        /tree/%2e%2e/x /tree/a%2Fb /tree/..;/x /tree/a\\b /part/../x
        /parts/../x /all/..)),
);

# What happens to calls, and whether one follows: 0 never, 1 if it may be
# made twice, 2 always; for PassportReader there is never one after a 4xx.
my @events = (
    [ '429',                 2, status => 429 ],
    [ '500',                 1, status => 500 ],
    [ '502',                 1, status => 502 ],
    [ '503',                 1, status => 503 ],
    [ '503 and Retry-After', 1, status => 503, retry_after => 0 ],
    [ '501',                 0, status => 501 ],
    [ 'reset',               1, reset  => 'before_header' ],
    [ 'closed',              1, close  => 'no_answer' ],
    [ 'garbage',             1, raw    => "SSH-2.0-x\r\n\r\n" ],
    [ 'half a header',       1, raw    => "HTTP/1.1 200 OK\r\nContent-Le" ],
    [ 'too late',            1, delay_ms => 30_000 ],
    [ 'no connection',       2 ],
);

# Makes all calls at once. For each [status, attempts, outcome] of the log, and
# the answer.
my $round = 0;

sub make_all {
    my $kind = shift;

    $round++;
    my $number  = 0;
    my @answers = map {
        my (undef, $preset, $method, $path, $body) = @$_;
        my $uri = $path . ($path =~ /\?/ ? '&' : '?') . "n=$round-" . $number++;

        [ $method, park($t, 1, uri => $uri, method => $method, body => $body,
            headers => [ [ 'Content-Type', 'application/json' ] ],
            port    => $t->port($port{"$kind$preset"})) ];
    } @calls;
    @answers = map { $t->read_response($_->[1], $_->[0], timeout => 30) }
        @answers;

    my %log;
    wait_until(20, sub {
        %log = map { /n=$round-(\d+) (\d+) (\d+) (\w+)$/
                ? ($1 => [ $2, $3, $4 ]) : () }
            split /\n/, $t->read('replay.log');
        keys %log == @calls;
    });
    return map { { answer => $answers[$_], log => $log{$_} } } 0 .. $#calls;
}


sub made {
    my %made;
    for my $sim (values %sim) {
        $made{$_}++ for map { $_->{target} =~ /n=$round-(\d+)/ }
            @{ $sim->requests };
    }
    return map { $made{$_} // 0 } 0 .. $#calls;
}


for my $event (@events) {
    my ($name, $again, @rule) = @$event;

    my $check = sub {
        $_->behave->clear for values %sim;
        if (@rule) {
            $_->misbehave(times => -1, @rule) for values %sim;
        }
        my $kind = $name eq 'too late' ? 'slow_' : @rule ? '' : 'none_';
        my @ends = make_all($kind);
        my @made = $kind eq 'none_' ? () : made();

        for my $number (0 .. $#calls) {
            my ($safe, $preset, $method, $path, $body) = @{ $calls[$number] };
            my ($answer, $log) = @{ $ends[$number] }{qw(answer log)};

            my $may = $again == 2 || $again == 1 && $safe;
            $may = 0 if $preset eq 'passportreader' && $name eq '429';
            my $calls = $may ? 2 : 1;
            my $unknown
                = !$safe && $name !~ /^(?:429|no connection)$/ ? 1 : 0;
            my $outcome = $unknown ? 'unknown' : 'not_applied';

            my @is   = ($made[$number] // $calls, @{ $log // [] }[ 1, 2 ]);
            my @want = ($calls, $calls, $outcome);
            if ($answer->header('Content-Type') eq 'application/problem+json'
                && $method ne 'HEAD')
            {
                push @is, $answer->json->{outcome};
                push @want, $outcome;
            }
            is_deeply \@is, \@want, "$preset $method $path "
                . substr $body // '', 0, 60;
        }
    };

    # some may be more than 250 ms on their way
    $name eq 'too late'
        ? $t->measured("after: $name" => $check)
        : subtest("after: $name" => $check);
}



$_->behave->clear for values %sim;

subtest 'a body that is too large to be looked into' => sub {
    my $body = "{$flag:true,\"a\":\"" . 'x' x 65_536 . '"}';
    my $r = $t->post("$verify/create", $body, port => $port{plaid},
        headers => [ [ 'Content-Type', 'application/json' ] ]);
    is $r->status, 400, 'is refused';
    is $r->json->{code}, 'request_rejected', 'by the gateway';
    is_deeply $sim{plaid}->requests, [], 'and never sent';
};


subtest 'the flag in a chunked body' => sub {
    $sim{plaid}->misbehave(status => 503);
    my $r = $t->post("$verify/create", "{$flag:true}", chunked => 1,
        port    => $port{plaid},
        headers => [ [ 'Content-Type', 'application/json' ] ]);
    is scalar @{ $sim{plaid}->requests }, 2, 'is seen';
};

done_testing;
