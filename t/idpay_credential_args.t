#!/usr/bin/env perl

# PlasmaPay takes a key from the argument apiKey too. A caller's never gets
# there, in whatever spelling; all other arguments do, byte for byte.

use strict;
use warnings;

use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('plasmapay', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    %%UPSTREAM_plasmapay%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /business/ { idpay_pass plasmapay; }
        location /uri/      { idpay_pass plasmapay/business/; }
        location /args/     {
            rewrite ^/args/(.*)$ /business/$1?apiKey=rewritten&b=2 break;
            idpay_pass plasmapay;
        }
    }
}
CONF
$t->run;

my $path = 'api/v1/public/ping';
my @kept = ('a=1', 'a=1&b=2', 'a', '=', 'a=&=b', 'a=%2f%2F%zz%&b=+%20',
    'a=apiKey', 'xapiKey=1', 'apiKeyx=1', 'api_Key=1', 'a=1&&b=2&', '&', ';', 'a=1;b=2',
    'a[apiKey]=1', 'a="\'<>`{}|', 'a=1?apiKey=2', "a=\xc3\xa9", 'a/../b=1');

my @cases = (
    (map { [ $_, $_ ] } @kept),
    [ 'apiKey=x'                     => '' ],
    [ 'apiKey=x&a=1'                 => 'a=1' ],
    [ 'a=1&apiKey=x'                 => 'a=1' ],
    [ 'a=1&apiKey=x&b=2'             => 'a=1&b=2' ],
    [ 'apiKey=x&apiKey=y&apiKey=z'   => '' ],
    [ 'a&apiKey=x&b&apiKey=y&c'      => 'a&b&c' ],
    [ 'apikey=x&APIKEY=x&ApIkEy=x&a' => 'a' ],
    [ 'apiKey&a=1'                   => 'a=1' ],
    [ 'apiKey=&a=1'                  => 'a=1' ],
    [ '%61%70%69%4b%65%79=x&a=1'     => 'a=1' ],
    [ '%61%70%69%4B%45%59=x&a=1'     => 'a=1' ],
    [ 'a=1&api%4bey=x'               => 'a=1' ],
    [ 'a=1&api%254bey=x'             => 'a=1' ],
    [ 'a=1&api%25254bey=x'           => 'a=1' ],
    [ 'a=1&%25%36%31piKey=x'         => 'a=1' ],
    [ 'a=1;apiKey=x;b=2'             => 'a=1;b=2' ],
    [ 'apiKey=x;b=2'                 => 'b=2' ],
    [ 'a=1;apiKey=x&b=2'             => 'a=1&b=2' ],
    [ 'apiKey[]=x&a=1'               => 'a=1' ],
    [ 'apiKey%5B%5D=x&a=1'           => 'a=1' ],
    [ 'apiKey[0]=x&a=1'              => 'a=1' ],
    [ '%20apiKey=x&+apiKey=x&a=1'    => 'a=1' ],
    [ 'apiKey+=x&apiKey%09=x&a=1'    => 'a=1' ],
    [ 'a=%2f+%zz&apiKey=x&&b=%'      => 'a=%2f+%zz&&b=%' ],
    [ 'a=apiKey&apiKey=a'            => 'a=apiKey' ],
);

for (@cases) {
    my ($args, $left) = @$_;

    for my $prefix ('/business/', '/uri/') {
        for my $method (qw(GET POST)) {
            $t->http($method, "$prefix$path?$args",
                $method eq 'POST' ? (body => 'apiKey=in-body') : ());
        }
    }

    my $requests = $sim->requests;
    my $target   = "/business/$path" . (length $left ? "?$left" : '');
    is_deeply [ map { $_->{target} } @$requests ], [ ($target) x 4 ],
        "?$args";
    is $requests->[1]{body}, 'apiKey=in-body', 'the body is as it was';
    $sim->clear;
}


$t->get("/business/$path?");
like $sim->last_request->{target}, qr{^/business/$path\?*$}, 'no argument';

$t->get("/args/$path?apiKey=x&a=1");
is $sim->last_request->{target}, "/business/$path?b=2&a=1",
    'after a rewrite too';

$t->http(GET => '', raw => "GET http://any.test/business/$path?apiKey=x&a=1 "
        . "HTTP/1.1\r\nHost: any.test\r\n\r\n");
is $sim->last_request->{target}, "/business/$path?a=1", 'the absolute form';

done_testing;
