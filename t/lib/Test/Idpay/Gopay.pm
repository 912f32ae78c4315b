package Test::Idpay::Gopay;

# What tests of tokens ask of the simulator of GoPay, and how they call.
#
#   token_requests($sim)       {kind => {result => n}}, those that were made
#                              since the last forget_requests($sim)
#   forget_requests($sim)
#   prefill($t, %opt)          a call that needs the application's token; uri:
#                              another one than $prefill
#   profile($t, $profile, %opt)    one that needs the token of a person
#   $prefill                   the URI of the former
#   status_uri($profile)       and of the latter

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK
    = qw(token_requests forget_requests prefill $prefill profile status_uri);

our $prefill = '/v1/client/prefill-client-data';


sub token_requests {
    my $counts = shift->act(do => 'report')->{counts};
    return { map { %{ $counts->{$_} } ? ($_ => $counts->{$_}) : () }
            keys %$counts };
}


sub forget_requests { return shift->act(do => 'forget') }


sub prefill {
    my ($t, %opt) = @_;
    my $uri = delete $opt{uri} // $prefill;
    return $t->post($uri, '{"firstName":"A"}',
        headers => [ [ 'Content-Type' => 'application/json' ] ], %opt);
}


sub status_uri {
    return "/v1/client/client-profile/$_[0]/identification-status";
}


sub profile {
    my ($t, $profile, %opt) = @_;
    return $t->get(status_uri($profile), %opt);
}


1;
