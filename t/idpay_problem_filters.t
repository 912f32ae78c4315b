#!/usr/bin/env perl

# A filter of nginx that refuses an answer, whoever's it is: the caller gets
# nginx's own answer in its place, and the worker lives on. With an error_page
# for it besides, plain proxy_pass may end a worker, too, in nginx 1.22.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Pass qw(servers);
use Test::Idpay::Process qw(wait_until);
use Test::More;

# Debian's, for its nginx and for those that are built as that one is.
my $filter = '/usr/lib/nginx/modules/ngx_http_image_filter_module.so';

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate', limits => 'idpay_retry off; '
        . "idpay_rate off; idpay_adaptive off; idpay_breaker off;\n"
        . '        idpay_error_fields code=/code status=/code result=/id;');

# It refuses all that is no image. At 8080, and with proxy_pass at 8081.
my $servers = servers(<<'CONF');
        location / {
            image_filter test;
            idpay_pass gate/;
        }
        location /unbuffered/ {
            image_filter test;
            proxy_buffering off;
            idpay_pass gate/;
        }
        location /off/ {
            image_filter test;
            idpay_errors off;
            idpay_pass gate/;
        }
        location /off/unbuffered/ {
            image_filter test;
            idpay_errors off;
            proxy_buffering off;
            idpay_pass gate/;
        }
        location = /worker { return 200 $pid; }
        location = /status { stub_status; }
CONF

$t->config(<<"CONF");
load_module $filter;
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    %%UPSTREAM_gate%%
    upstream plain_gate { server %%SIM_gate%%; keepalive 8; }

    idpay_trusted_certificate %%CA%%;

$servers
}
CONF

my ($failed, $output) = $t->nginx_t;
plan skip_all => "$filter does not go with this nginx"
    if $failed && $output =~ /\[emerg\][^\n]*\Q$filter\E/;
$t->run;

my @json = (headers => [ [ 'Content-Type', 'application/json' ] ]);
my $id   = '{"id":"theirs","code":404}';

my %answers = (
    'an error'             => [ status => 404, @json, body => $id ],
    'a failure, chunked'   =>
        [ status => 500, @json, body => $id, chunked => 1 ],
    'an error, too long'   => [ status => 409, body_size => 100_000 ],
    'an error, cut'        =>
        [ status => 422, body_size => 10_000, truncate => 'mid_body' ],
    'an endless error'     => [ status => 400, endless => 1 ],
    'an error with a 200'  => [ @json, body => '{"code":404}' ],
    'a held 200'           => [ @json, body => $id ],
    'a held 200, chunked'  => [ @json, body => $id, chunked => 1 ],
    'a held 201, too long' =>
        [ status => 201, @json, body_size => 100_000, chunked => 1 ],
    'a held 200, cut'      => [ @json, body => $id, truncate => 'mid_body' ],
    'a 200'                => [ body => 'theirs' ],
    'a 200, long'          => [ body_size => 1_000_000, chunked => 1 ],
    'no answer'            => [ close => 'no_answer' ],
);

my $worker = $t->get('/worker')->body;
my $n      = 0;

for my $place (qw(/ /unbuffered/ /off/ /off/unbuffered/)) {
    for my $name (sort keys %answers) {
        for my $method (qw(GET POST)) {
            my $what = "$name, $method $place";
            my $uri  = $place . 'call' . $n++;
            $sim->behave->misbehave(times => -1, @{ $answers{$name} });

            my $r = $t->http($method, $uri,
                $method eq 'POST' ? (body => 'abc') : ());
            is_deeply [ $r->status, $r->header('Content-Type'), $r->complete ],
                [ 415, 'text/html', 1 ], "$what: what nginx says";
            like $r->body, qr{^<html>.*<center>nginx/\S+</center>.*</html>}s,
                'in its own words' or diag $r->raw;

            my $now = $t->get('/worker')->body;
            is $now, $worker, 'the same worker goes on' or $worker = $now;
            ok wait_until(20, sub {
                $t->access_log =~ m{"$method \Q$uri\E HTTP/1.1" 415 };
            }), 'and logs it';
        }
    }
}


# An image is none of its business, and no answer of the gateway's own either.
$sim->behave;
my $gif = "GIF89a" . "\0" x 100;
for my $place (qw(/ /unbuffered/ /off/)) {
    $sim->misbehave(headers => [ [ 'Content-Type', 'image/gif' ] ],
        body => $gif);
    my $r = $t->get($place);
    is $r->status, 200, "an image, $place";
    is $r->body, $gif, 'passes';
}
is $t->get('/', port => 8081)->status, 415, 'proxy_pass does the same';

ok wait_until(20, sub {
    $t->get('/status', headers => [ [ Connection => 'close' ] ])->body
        =~ /^Active connections: 1 \n.*Reading: 0 Writing: 1 Waiting: 0/s;
}), 'no connection of a caller is left';
cmp_ok $sim->open_connections, '<=', 8, 'to the provider those that are kept';

done_testing;
